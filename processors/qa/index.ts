export type { Check, CheckInput, CheckPorts, LoadedFile } from './check.js';
export { type ProfileResult, runProfile } from './run-profile.js';
export type { Sandbox, SandboxLimits, SandboxRequest, SandboxResult } from './sandbox/sandbox.js';
export { openSandbox, type SandboxOptions } from './sandbox/select.js';
