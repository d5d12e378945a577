// The port of the sandbox: where generated code runs. Types only; rungs: bubblewrap.ts, unshare.ts; `sandbox.contract.ts` is the escape suite.
//
// S1. No network, not even loopback of the host. S2. The root is read-only; only the own folder and /tmp can be written, and both are gone afterwards.
// S3. Nothing of any user's home, of the data directory or of other processes can be seen. S4. Time, memory, processes, disk and output are bounded, and at the end nothing runs on.
// S5. The environment holds no secret: only what `env` gives. S6. Where no rung works, running is refused: Fault terminal `sandbox_unavailable`, with what to install.

export interface SandboxLimits {
  readonly timeout_ms: number;
  readonly memory_bytes: number;
  readonly processes: number;
  /** Of stdout and of stderr each; what comes after is dropped and `truncated` says so. */
  readonly output_bytes: number;
  readonly disk_bytes: number;
}

export interface SandboxRequest {
  /** Program and arguments; `python3` and `node` are resolved to what is installed. */
  readonly command: readonly string[];
  /** Path below the working directory -> text. Paths were checked by `isSafePath`. */
  readonly files: readonly { readonly path: string; readonly content: string }[];
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  readonly limits: SandboxLimits;
}

export interface SandboxResult {
  /** Exit code; null when it was killed. */
  readonly code: number | null;
  readonly signal: string | null;
  /** Which limit ended it, if one did. */
  readonly limit: 'timeout' | 'memory' | 'processes' | 'output' | 'disk' | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly truncated: boolean;
  readonly duration_ms: number;
}

export interface Sandbox {
  readonly rung: 'bubblewrap' | 'unshare' | 'none';
  /** @throws Fault terminal `sandbox_unavailable`, `program_missing`; the signal's reason when aborted. */
  run(request: SandboxRequest, signal: AbortSignal): Promise<SandboxResult>;
}
