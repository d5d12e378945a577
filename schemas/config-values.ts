// Kinds of values in servers.yaml that occur in several sections.
import { z } from 'zod';

export const urlSchema = z.url({ protocol: /^https?$/ });

export const envNameSchema = z
  .string()
  .regex(/^[A-Z][A-Z0-9_]*$/, 'the NAME of an environment variable, such as KAFKA_PASSWORD, never the secret');
