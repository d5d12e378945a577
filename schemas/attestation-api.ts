// What attestations look like: in-toto Statement v1, its DSSE envelope, and PROV-JSON; and how they are asked for over HTTP.
import { z } from 'zod';
import { LINEAGE_DEPTH_LIMIT, provenanceSchema } from './analytics-api.js';

export const PROVENANCE_FORMATS = ['json', 'prov', 'intoto'] as const;
export type ProvenanceFormat = (typeof PROVENANCE_FORMATS)[number];

export const provenanceFormatQuerySchema = z.strictObject({
  format: z.enum(PROVENANCE_FORMATS).default('json').meta({
    description:
      'json: the record of history; prov: W3C PROV-JSON with what the artifact was made from; intoto: signed in-toto attestations, one DSSE envelope a line.',
  }),
  depth: z.coerce
    .number()
    .int()
    .min(0)
    .max(LINEAGE_DEPTH_LIMIT)
    .default(10)
    .meta({ description: 'Of prov: steps of lineage upwards, at most.' }),
  tainted: z
    .enum(['true', 'false'])
    .default('false')
    .meta({ description: 'Of intoto: also for an artifact that is suspect, tainted or taken back; the statements then say so.' }),
});

export const STATEMENT_TYPE = 'https://in-toto.io/Statement/v1';
export const PAYLOAD_TYPE = 'application/vnd.in-toto+json';
/** Of a file with one envelope a line. */
export const BUNDLE_TYPE = 'application/vnd.in-toto.bundle';

const base64Schema = z.string().regex(/^[A-Za-z0-9+/_-]*={0,2}$/, 'must be base64');
/** Dead Simple Signing Envelope v1. */
export const dsseEnvelopeSchema = z.object({
  payloadType: z.string(),
  payload: base64Schema,
  signatures: z.array(z.object({ keyid: z.string().optional(), sig: base64Schema })).min(1),
});
export type DsseEnvelope = z.infer<typeof dsseEnvelopeSchema>;

const digestSchema = z.record(z.string(), z.string());
export const resourceSchema = z.object({
  name: z.string().optional(),
  uri: z.string().optional(),
  digest: digestSchema.optional(),
  annotations: z.record(z.string(), z.unknown()).optional(),
});
/** in-toto's ResourceDescriptor, as far as it is used here. */
export type Resource = z.infer<typeof resourceSchema>;

export const statementSchema = z.object({
  _type: z.literal(STATEMENT_TYPE),
  subject: z.array(resourceSchema.extend({ digest: digestSchema })).min(1),
  predicateType: z.string().min(1),
  predicate: z.record(z.string(), z.unknown()),
});
export type Statement = z.infer<typeof statementSchema>;

const provRecords = z.record(z.string(), z.record(z.string(), z.unknown()));
/** https://www.w3.org/submissions/prov-json/ */
export const provDocumentSchema = z.strictObject({
  prefix: z.record(z.string(), z.string()),
  entity: provRecords,
  activity: provRecords.optional(),
  agent: provRecords.optional(),
  used: provRecords.optional(),
  wasGeneratedBy: provRecords.optional(),
  wasDerivedFrom: provRecords.optional(),
  wasAssociatedWith: provRecords.optional(),
  wasInvalidatedBy: provRecords.optional(),
});
export type ProvDocument = z.infer<typeof provDocumentSchema>;

/** What `format` json and prov answer. */
export const provenanceAnswerSchema = z.union([provenanceSchema, provDocumentSchema]);
