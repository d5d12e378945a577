// The port of a check: one question about one attempt's files. A check is a file in checks/, listed in checks/index.ts.
import type { CheckResult, FileContent, Language, QaProfile } from '../../schemas/index.js';
import type { Sandbox, SandboxLimits } from './sandbox/sandbox.js';

/** A file with its content at hand (claim checks resolved). */
export interface LoadedFile {
  readonly path: string;
  readonly type: Language;
  readonly content: string;
}

export interface CheckInput {
  /** What the attempt produced. */
  readonly artifacts: readonly LoadedFile[];
  /** What the task brought along and the artifacts of the tasks it depends on. */
  readonly files: readonly LoadedFile[];
  readonly tests:
    | {
        readonly language: 'python' | 'javascript' | 'typescript';
        readonly code: string;
        readonly entry_point?: string;
        readonly path?: string;
        readonly command?: string;
        readonly timeout_s?: number;
      }
    | undefined;
}

export interface CheckPorts {
  readonly sandbox: Sandbox;
  readonly limits: SandboxLimits;
}

export interface Check {
  readonly name: string;
  /** The profiles that run it. */
  readonly profiles: readonly QaProfile[];
  /** Does it have anything to say about this input? */
  applies(input: CheckInput): boolean;
  /**
   * One result a question. `failed` is the answer's fault and says why in words the next attempt can use.
   * @throws Fault terminal when the check cannot be made here (`checker_missing`, `sandbox_unavailable`); the signal's reason when aborted.
   */
  run(input: CheckInput, ports: CheckPorts, signal: AbortSignal): Promise<readonly CheckResult[]>;
}
export type { FileContent };
