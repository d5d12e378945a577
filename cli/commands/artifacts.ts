// `dats artifacts`: what a task made, where each file came from, and the files themselves.
import type { TaskView } from '../../schemas/index.js';
import type { DatsClient } from '../client/index.js';
import { EXIT } from '../exit.js';
import { originLine } from '../render/index.js';
import type { Register, Session } from '../session.js';
import { writeFiles } from '../written-files.js';

/** Fetches, checks and writes a task's artifacts, and says of each where it came from. */
export const saveArtifacts = async (session: Session, client: DatsClient, view: TaskView, out: string, force: boolean): Promise<void> => {
  const { signal } = session.io;
  const views = await Promise.all(view.artifacts.map((artifact) => client.artifact(artifact.artifact_id, { signal })));
  const files = await Promise.all(
    views.map(async (artifact) => ({ path: artifact.path, bytes: await client.artifactContent(artifact, { signal }) })),
  );
  const written = await writeFiles(session.path(out), files, force);
  written.forEach((file, i) => {
    const artifact = views[i]!;
    session.data({ ...artifact, file: file.path, what: file.what });
    session.say(`${file.what.padEnd(9)} ${file.path}`, `          ${originLine(artifact)}`);
  });
};

const showArtifacts = async (session: Session, id: string, options: Readonly<Record<string, unknown>>): Promise<number> => {
  const client = await session.client();
  const { signal } = session.io;
  const view = await client.get(id, { signal });
  if (view.artifacts.length === 0) {
    session.note(
      `dats: task ${id} is ${view.state} and has no artifacts${view.completed_at === null ? ' yet' : ''}${view.children.length > 0 ? `; its subtasks may have: ${view.children.join(', ')}` : ''}`,
    );
    if (session.json && options.out === undefined) session.data([]);
    return EXIT.ok;
  }
  if (options.out !== undefined) {
    await saveArtifacts(session, client, view, String(options.out), options.force === true);
    return EXIT.ok;
  }
  const artifacts = await Promise.all(view.artifacts.map((artifact) => client.artifact(artifact.artifact_id, { signal })));
  session.data(artifacts);
  for (const artifact of artifacts) session.say(`${artifact.artifact_id}  ${originLine(artifact)}`);
  return EXIT.ok;
};

export const artifacts: Register = (program, run) => {
  program
    .command('artifacts <task>')
    .description('list what a task made, or write it into a folder')
    .option('--out <folder>', 'write the files there; never outside it, never through a symbolic link')
    .option('--force', 'replace files that are there')
    .addHelpText('after', '\nExamples:\n  dats artifacts 0199a1b2-...\n  dats artifacts 0199a1b2-... --out ./result')
    .action(run((session, [task], options) => showArtifacts(session, task!, options)));
};
