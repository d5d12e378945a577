// From a cut of the books to the event that is said. Pure.
import { AUDIT, type DatsEvent, dataschemaOf, derivedId } from '../../schemas/index.js';
import { type Outgoing, outgoing } from '../../streams/index.js';
import { isoOf } from '../iso-time.js';
import type { Cut } from './books.js';
import { checkpointText, originOf, type SigningKey, signNote, verifierOf } from './note.js';
import { rootOf } from './tree.js';

const TYPE = 'dats.audit.checkpoint';

export interface CheckpointBy {
  readonly key: SigningKey;
  readonly partition: number;
  readonly configVersion: string;
}

/** The record of a checkpoint. Its id follows from what it says: said twice, it is the same event. */
export const checkpointRecord = ({ project, tree, leaves }: Cut, by: CheckpointBy, now: number): Outgoing => {
  const root = rootOf(tree);
  const origin = originOf(verifierOf(by.key.vkey), project);
  const id = derivedId(TYPE, project, tree.size, root.toString('hex'));
  const event = {
    specversion: '1.0',
    id,
    source: '/audit',
    type: TYPE,
    time: isoOf(now),
    subject: project,
    datacontenttype: 'application/json',
    dataschema: dataschemaOf(TYPE),
    projectid: project,
    correlationid: id,
    actor: '/audit',
    configversion: by.configVersion,
    data: {
      project_id: project,
      partition: by.partition,
      size: tree.size,
      root: root.toString('base64'),
      leaves: leaves.map(([offset, hash]): [number, string] => [offset, hash]),
      note: signNote(checkpointText({ origin, size: tree.size, root }), by.key),
    },
  } as const;
  return outgoing(AUDIT, event as DatsEvent);
};
