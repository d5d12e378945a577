/** A server of a test's own. It keeps its port and data over `kill`, `stop` and `start`. */
export interface LocalServer {
  /** As its clients want it: `127.0.0.1:23456`, `redis://127.0.0.1:23456`, `http://127.0.0.1:23456/apis/ccompat/v7`. */
  readonly address: string;
  readonly port: number;
  /** Its settings, logs and data. */
  readonly dir: string;
  readonly logs: readonly string[];
  /** Of the running process; null while it does not run. */
  readonly pid: number | null;
  /** Whether it answers now: asked, not remembered. */
  isUp(): Promise<boolean>;
  /** SIGKILL, as a crash. Resolves when the process is gone. */
  kill(): Promise<void>;
  /** In order: SIGTERM, then SIGKILL after a limit. */
  stop(): Promise<void>;
  /** Starts it again with the same port and data, and resolves when it answers; at once where it runs. Rejects as `startKafka` does. */
  start(): Promise<void>;
  /** Ends it (SIGKILL), and removes its folder where `start...` made it. May be called twice. */
  close(): Promise<void>;
}

export interface LocalKafka extends LocalServer {
  /** Bootstrap servers: `127.0.0.1:23456`. */
  readonly brokers: string;
}

export interface LocalRedis extends LocalServer {
  readonly url: string;
}

export interface LocalRegistry extends LocalServer {
  /** Of the Confluent-compatible API, without a slash at its end. */
  readonly url: string;
}

/** A model server, with one toy model. */
export interface LocalModelServer extends LocalServer {
  /** Of Ollama: `http://127.0.0.1:23456`. Of llama.cpp: `http://127.0.0.1:23456/v1`. */
  readonly url: string;
  /** How the model is called. */
  readonly model: string;
}

export interface LocalServerOptions {
  /** Kept by `close`. Default: a temporary folder, removed by `close`. */
  readonly dir?: string;
  /** Default: a free one. */
  readonly port?: number;
}

export interface LocalKafkaOptions extends LocalServerOptions {
  readonly controllerPort?: number;
  /** Of the JVM, in MiB. Default 384. */
  readonly heapMiB?: number;
  /** Broker settings that replace or add to the ones of kafka.mjs. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>;
  /** Folder of downloads. Default: the one that all share. */
  readonly cache?: string;
}

export interface LocalRegistryOptions extends LocalServerOptions {
  readonly cache?: string;
}

export interface LocalModelServerOptions extends LocalServerOptions {
  /** Folder of what was built. Default: the one that all share. */
  readonly cache?: string;
  /**
   * `tiny` (the default): noise of a fixed seed; what it answers is printable, ends after some hundred tokens, and means nothing. `demo-small`, `demo-medium`: what
   * the tiers small and medium answer in the demo, by heart.
   */
  readonly model?: 'tiny' | 'demo-small' | 'demo-medium';
  /** False: where it is not built on this machine yet, it is not built now either (`not_built`). Default true. */
  readonly build?: boolean;
}

export interface LocalLlamaOptions extends LocalModelServerOptions {
  /** Jinja, instead of the model's own: how messages and tools become a prompt, and how a call of a tool looks. */
  readonly template?: string;
}

/** What is thrown when a server cannot be had. Its message says what happened, why, and what to do next. */
export interface ServerFailure extends Error {
  /** `java_missing`, `java_too_old`, `mvn_missing`, `redis_server_missing`, `go_missing`, `download_failed`, `not_built`, `build_failed`, `port_taken`, `not_answering`, ... */
  readonly code: string;
}

/**
 * One Kafka node of your own (4 s; 9 s more for the first download on a machine). Topics are not created by themselves.
 * @throws ServerFailure
 */
export function startKafka(options?: LocalKafkaOptions): Promise<LocalKafka>;
/**
 * One Redis of your own (0.1 s). It keeps nothing over a restart.
 * @throws ServerFailure
 */
export function startRedis(options?: LocalServerOptions): Promise<LocalRedis>;
/**
 * One schema registry of your own (4 s).
 * @throws ServerFailure
 */
export function startRegistry(options?: LocalRegistryOptions): Promise<LocalRegistry>;

/**
 * One Ollama server of your own. It is built first where this machine has not got it: minutes (`node deploy/local/servers.mjs build`).
 * @throws ServerFailure
 */
export function startOllama(options?: LocalModelServerOptions): Promise<LocalModelServer>;
/**
 * One llama.cpp server of your own: OpenAI's API, four requests at a time. It is built first, as Ollama is.
 * @throws ServerFailure
 */
export function startLlama(options?: LocalLlamaOptions): Promise<LocalModelServer>;

/** A port of 127.0.0.1 where nobody listens now, and which no outgoing connection will be given. */
export function freePort(): Promise<number>;

/** The settings (`DATS_LOG_KIND` ...) with which DATS uses the servers that are given, at these addresses. */
export function environment(
  addresses: Readonly<Partial<Record<'kafka' | 'registry' | 'redis' | 'ollama' | 'llama', string>>>,
): Readonly<Record<string, string>>;
