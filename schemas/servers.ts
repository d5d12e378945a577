// The shape of servers.yaml: the only place that knows an endpoint, a model or a node. Reading the file is nodes/configuration.ts.
import { z } from 'zod';
import { envNameSchema, urlSchema } from './config-values.js';
import { nodeIdSchema } from './node.js';
import { linkConfigSchema, nodeEntrySchema, nodeProblems } from './node-config.js';
import { quotasConfigSchema } from './quota.js';
import { accessConfigSchema, routingConfigSchema } from './routing-config.js';
import { DOMAINS } from './task.js';
import { PRICED_AT_MODEL } from './telemetry.js';
import { TIERS } from './topics.js';

const idSchema = z
  .string()
  .min(1)
  .max(128)
  .regex(/^[A-Za-z0-9][A-Za-z0-9._:/-]*$/, 'letters, digits and . _ : / -');

export const modelConfigSchema = z.strictObject({
  /** Unique; what tasks and events call it. */
  id: idSchema,
  runner: z.enum(['scripted', 'ollama', 'openai']),
  /** The node that reaches its server; the core lends it calls. Default: whichever node reads this reaches it itself. */
  node: nodeIdSchema.optional(),
  /** Base URL: Ollama's root (`http://127.0.0.1:11434`), or an OpenAI-compatible root up to and with `/v1`. */
  base_url: urlSchema.optional(),
  /** The name that the server knows; default: the id. */
  model: z.string().min(1).max(256).optional(),
  /** Name of the environment variable that holds the API key. Never the key itself. */
  api_key_env: z
    .string()
    .regex(/^[A-Z][A-Z0-9_]*$/, 'the NAME of an environment variable, such as OPENAI_API_KEY, never the key')
    .optional(),
  /** Value of `gen_ai.provider.name`; default: the runner's kind. */
  provider: z.string().min(1).max(64).optional(),
  tiers: z.array(z.enum(TIERS)).min(1),
  /** Empty: every domain. */
  domains: z.array(z.enum(DOMAINS)).default([]),
  /** Smaller is chosen first among healthy candidates. */
  preference: z.number().default(100),
  /** Used only where no other candidate is healthy. */
  fallback: z.boolean().default(false),
  /** Calls at a time. */
  concurrency: z.int().min(1).max(1024).default(4),
  context_tokens: z.int().min(256).default(32_768),
  max_output_tokens: z.int().min(16).default(4096),
  /** No byte for this long, then the call is given up; the first byte of a model that its server may have to load first has `timeout_ms`. */
  idle_timeout_ms: z.int().min(10).default(60_000),
  timeout_ms: z.int().min(10).default(600_000),
  /** USD a million tokens; goes before the price list. A price that is missing beside the other counts as 0. */
  price_input_per_mtok: z.number().min(0).optional(),
  price_output_per_mtok: z.number().min(0).optional(),
  /** Local models: how long the server keeps it in memory after a call, in seconds; -1: until it is told otherwise. Default: the server's own. */
  keep_alive_s: z.int().min(-1).max(86_400).optional(),
  /** Loaded when the process starts, so that no task waits for it. */
  warm_up: z.boolean().default(false),
  /** What it takes in memory; the server says it once it was loaded. Together with `gpu`: which models fit at a time. */
  memory_bytes: z.int().min(0).optional(),
  /** Which graphics processor of this machine it runs on, by its number; models on one are loaded one at a time. */
  gpu: z.int().min(0).max(63).optional(),
  /** A call without a first chunk by then is made a second time, at another model of the tier; the first answer counts. Absent: never. */
  hedge_after_ms: z.int().min(1).optional(),
  /** False where everything sent to it leaves the building: tasks that are confidential never go there. Default: only a loopback or private address is local. */
  local: z.boolean().optional(),
  /** For `scripted`: the file of rules and recorded answers, relative to servers.yaml. */
  script: z.string().optional(),
});
export type ModelConfig = z.infer<typeof modelConfigSchema>;

const kafkaConfigSchema = z.strictObject({
  /** `host:port` of some brokers; the others are found through them. */
  brokers: z
    .array(z.string().regex(/^[^\s:/]+:\d{1,5}$/, 'host:port, such as 127.0.0.1:9092'))
    .min(1)
    .default(['127.0.0.1:9092']),
  /** Before the name of every topic, group and schema subject: several installations on one cluster. */
  prefix: z
    .string()
    .max(64)
    .regex(/^[A-Za-z0-9._-]*$/, 'letters, digits and . _ -')
    .default(''),
  /** Replicas of a topic; default: three, or as many as there are brokers. */
  replication: z.int().min(1).max(9).optional(),
  /** A process that is silent for so long is taken for dead and its partitions go to others. */
  session_timeout_ms: z.int().min(500).max(300_000).default(3_000),
  /** Confluent-compatible schema registry; none: plain JSON. */
  registry_url: urlSchema.optional(),
  tls: z.boolean().default(false),
  sasl: z
    .strictObject({
      mechanism: z.enum(['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512']).default('SCRAM-SHA-512'),
      username_env: envNameSchema,
      password_env: envNameSchema,
    })
    .optional(),
});

const redisConfigSchema = z.strictObject({
  /** `redis://host:port/db`, or `rediss://` for TLS. */
  url: z.url({ protocol: /^rediss?$/ }).default('redis://127.0.0.1:6379'),
  /** Before every key. */
  prefix: z.string().max(64).default('dats:'),
  /** Name of the environment variable that holds the password, where there is one. */
  password_env: envNameSchema.optional(),
});

const analyticsConfigSchema = z.strictObject({
  /** auto: embedded where the log is on this disk, a server where `url` names one, else none. */
  kind: z.enum(['auto', 'embedded', 'server', 'none']).default('auto'),
  /** ClickHouse's HTTP address; used when `kind` is server. */
  url: urlSchema.optional(),
  username: z.string().min(1).max(128).optional(),
  password_env: envNameSchema.optional(),
  /** Lets the server gather the inserts of many writers; an insert still waits until it is written. */
  async_insert: z.boolean().default(false),
  /** Events wait for so long to share an insert: each costs the machine some 60 ms, whatever is in it. */
  flush_ms: z.int().min(0).max(60_000).default(2_000),
  /** Limits of other people's SQL (`dats sql`, POST /api/v1/query). */
  query: z
    .strictObject({
      timeout_ms: z.int().min(10).max(600_000).default(10_000),
      rows: z.int().min(1).max(1_000_000).default(10_000),
      memory_bytes: z
        .int()
        .min(16 * 1024 * 1024)
        .default(1024 * 1024 * 1024),
    })
    .prefault({}),
});

const telemetryConfigSchema = z.strictObject({
  /** Where traces go: an OTLP/HTTP collector, such as http://127.0.0.1:4318. None: no traces. */
  otlp_url: urlSchema.optional(),
  /** Port of /metrics for processes without the gateway role; 0: none. A gateway has it beside its API. */
  metrics_port: z.int().min(0).max(65_535).default(0),
  /** How often a process says how it is, in seconds; 0: never. */
  sample_s: z.int().min(0).max(3_600).default(30),
});

const cascadeConfigSchema = z.strictObject({
  /** Steps from a root; what lies deeper is left, and the cascade says that it was cut. */
  max_depth: z.int().min(0).max(1_000).default(50),
  max_artifacts: z.int().min(1).max(1_000_000).default(100_000),
  /** Artifacts marked a second. */
  per_second: z.int().min(1).max(100_000).default(2_000),
  /** Suspects of a cascade that are being checked at a time. */
  revalidations: z.int().min(1).max(1_000).default(8),
  /** For one revalidation; without a verdict by then it is unproven. */
  revalidation_timeout_s: z.number().positive().max(86_400).default(600),
  /** Suspects for which nothing can tell (no tests, no verdict in time): `taint` is the safe side. */
  unproven: z.enum(['taint', 'clear']).default('taint'),
  /** Does a `dats.security.alert` of this severity or above begin a cascade? */
  on_security_alert: z.enum(['low', 'medium', 'high', 'critical', 'never']).default('high'),
  /** Does a rejection that comes after the task was completed? */
  on_late_rejection: z.boolean().default(true),
});

const auditConfigSchema = z.strictObject({
  /** A checkpoint of a project's history is signed after so many events, */
  every_events: z.int().min(1).max(10_000).default(1_000),
  /** and at the latest so long after the first event that none covers, in seconds. */
  every_s: z.number().min(0.05).max(86_400).default(10),
  /** Who keeps the log, in the origin line of checkpoints; the project follows. */
  origin: z
    .string()
    .regex(/^[A-Za-z0-9.:_/-]{1,100}$/)
    .default('dats/projects'),
  /** PEM of the Ed25519 key that signs checkpoints and attestations; made at the first start. Relative to the data folder. */
  key_file: z.string().min(1).default('keys/signing.pem'),
});

const NO_PRICE_VERSION = 'none';

/** What tokens cost, by model. Each call's telemetry names the version it was priced under. */
export const pricesConfigSchema = z
  .strictObject({
    version: z.string().min(1).max(64).default(NO_PRICE_VERSION),
    models: z
      .array(
        z.strictObject({
          /** The name that the server knows (`gpt-4.1-mini`), or the id of servers.yaml. */
          model: z.string().min(1).max(256),
          /** Only of this provider; default: whoever. */
          provider: z.string().min(1).max(64).optional(),
          /** USD a million tokens. */
          input_per_mtok: z.number().min(0),
          output_per_mtok: z.number().min(0),
        }),
      )
      .default([]),
  })
  .superRefine(({ version, models }, ctx) => {
    const unsaid = version === NO_PRICE_VERSION || version === PRICED_AT_MODEL;
    if (unsaid && models.length > 0)
      ctx.addIssue({
        code: 'custom',
        path: ['version'],
        message: `"${version}" names no price list; set a version of your own, such as "2026-11", and a new one with every change: each cost is recorded with it`,
      });
    const seen = new Set<string>();
    models.forEach(({ model, provider }, i) => {
      const key = JSON.stringify([model, provider]);
      const whose = provider === undefined ? 'without a provider' : `of ${provider}`;
      if (seen.has(key))
        ctx.addIssue({
          code: 'custom',
          path: ['models', i, 'model'],
          message: `"${model}" ${whose} has a price already; keep one of the two`,
        });
      seen.add(key);
    });
  });
export type Prices = z.infer<typeof pricesConfigSchema>;

export const schedulingConfigSchema = z.strictObject({
  max_running_per_project: z.int().min(1).max(100_000).default(10),
  /** Exceptions by project id. */
  projects: z.record(z.string(), z.strictObject({ max_running: z.int().min(1).max(100_000) })).default({}),
  timeout_s: z.number().positive().max(86_400).default(600),
  max_attempts: z.int().min(1).max(20).default(4),
  backoff_base_ms: z.int().min(0).default(1_000),
  backoff_max_ms: z.int().min(0).default(60_000),
});

/** What can be turned on and off while the system runs. */
export const flagsConfigSchema = z.strictObject({
  /** A second call beside one that is slower than most, where its model allows it (`hedge_after_ms`). */
  hedging: z.boolean().default(true),
  /** /v1, for OpenAI clients. */
  openai_endpoint: z.boolean().default(true),
});

export const serversSchema = z
  .strictObject({
    version: z.literal(1),
    node: z
      .strictObject({
        id: idSchema.default('local'),
        /** Where log, views and artifacts lie; relative to servers.yaml. */
        data_dir: z.string().min(1).default('./.dats'),
      })
      .prefault({}),
    gateway: z
      .strictObject({
        host: z.string().min(1).default('127.0.0.1'),
        port: z.int().min(0).max(65_535).default(8080),
        body_limit_bytes: z
          .int()
          .min(1024)
          .default(16 * 1024 * 1024),
        /** Open tasks a project may have before submissions are answered 429. */
        max_open_tasks_per_project: z.int().min(1).default(100_000),
        /** Submissions of a project, over all gateways that share a Redis. */
        rate_limit: z
          .strictObject({
            /** Tasks a minute, evenly; 0: no limit. */
            per_minute: z.int().min(0).max(1_000_000_000).default(0),
            /** Tasks that a project which was quiet may submit at once; default: `per_minute`. */
            burst: z.int().min(1).max(1_000_000_000).optional(),
          })
          .prefault({}),
      })
      .prefault({}),
    log: z
      .strictObject({
        kind: z.enum(['lmdb', 'memory', 'kafka']).default('lmdb'),
        /** Of every topic. Fixed when the log is created: a key finds its partition by their number. */
        partitions: z.int().min(1).max(256).default(4),
        /** Where Kafka is; used when `kind` is kafka. */
        kafka: kafkaConfigSchema.prefault({}),
      })
      .prefault({}),
    /** Where history is asked in SQL. All of it is rebuilt from the log. */
    analytics: analyticsConfigSchema.prefault({}),
    telemetry: telemetryConfigSchema.prefault({}),
    prices: pricesConfigSchema.prefault({}),
    views: z
      .strictObject({
        /** `auto`: beside the log where that is in this process or on this disk, Redis where the log is Kafka. */
        kind: z.enum(['auto', 'lmdb', 'memory', 'redis']).default('auto'),
        redis: redisConfigSchema.prefault({}),
      })
      .prefault({}),
    /** All nodes, where there are several: one core, and the edge nodes around it. `node.id` says which of them this is. */
    nodes: z.array(nodeEntrySchema).default([]),
    /** From an edge node to the core. */
    link: linkConfigSchema.prefault({}),
    models: z.array(modelConfigSchema).default([]),
    /** How models are chosen. The sections from here to `flags` can be changed while the system runs: `dats config set`. */
    routing: routingConfigSchema.prefault({}),
    access: accessConfigSchema.prefault({}),
    quotas: quotasConfigSchema.prefault({}),
    flags: flagsConfigSchema.prefault({}),
    scheduling: schedulingConfigSchema.prefault({}),
    /** What is done when something turned out bad. */
    cascade: cascadeConfigSchema.prefault({}),
    audit: auditConfigSchema.prefault({}),
    /** How many work items of a lane run at a time in one process. */
    slots: z
      .strictObject({
        small: z.int().min(1).default(16),
        medium: z.int().min(1).default(8),
        large: z.int().min(1).default(4),
        qa: z.int().min(1).default(2),
        analysis: z.int().min(1).default(4),
        /** A replay keeps a core busy, and holds a history in memory. */
        replay: z.int().min(1).default(1),
      })
      .prefault({}),
    sandbox: z
      .strictObject({
        /** `auto` takes the first rung that works here: bubblewrap, then unshare. `none` refuses to run any code. */
        rung: z.enum(['auto', 'bubblewrap', 'unshare', 'none']).default('auto'),
        timeout_s: z.number().positive().default(10),
        memory_bytes: z
          .int()
          .min(16 * 1024 * 1024)
          .default(512 * 1024 * 1024),
        processes: z.int().min(1).default(64),
        output_bytes: z
          .int()
          .min(1024)
          .default(64 * 1024),
        disk_bytes: z
          .int()
          .min(1024 * 1024)
          .default(64 * 1024 * 1024),
      })
      .prefault({}),
  })
  .superRefine((config, ctx) => {
    for (const problem of nodeProblems(config)) ctx.addIssue({ code: 'custom', ...problem });
    const seen = new Set<string>();
    config.models.forEach((model, i) => {
      if (model.node !== undefined && !config.nodes.some(({ id }) => id === model.node))
        ctx.addIssue({
          code: 'custom',
          path: ['models', i, 'node'],
          message: `"${model.node}" is none of the nodes; name one of \`nodes\`, or leave it out where every node reaches the model itself`,
        });
      if (seen.has(model.id))
        ctx.addIssue({ code: 'custom', path: ['models', i, 'id'], message: `"${model.id}" is used twice; model ids must be unique` });
      seen.add(model.id);
      if (model.runner === 'openai' && model.base_url === undefined)
        ctx.addIssue({
          code: 'custom',
          path: ['models', i, 'base_url'],
          message: 'an openai runner needs a base_url, such as https://api.openai.com/v1',
        });
    });
  });
export type Servers = z.infer<typeof serversSchema>;
