// Identifiers: UUIDv7 where something is new, UUIDv5 where it is derived from what it belongs to (RFC 9562).
import { v5, v7 } from 'uuid';

/** Namespace of every derived id of this product. Never change it: ids on old logs depend on it. */
const NAMESPACE = '6f1d2c1e-9a55-5f0e-8c3b-0d6a4b7e2f10';

/** A new, time-ordered id (UUIDv7). */
export const newId = (): string => v7();

/** The id that follows from its parts (UUIDv5): the same parts give the same id, on every machine, for ever. */
export const derivedId = (...parts: readonly (string | number)[]): string => v5(parts.join('\u001f'), NAMESPACE);

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
export const isUuid = (text: string): boolean => UUID.test(text);

/** `00-<trace>-<span>-01` (W3C Trace Context). */
export const TRACEPARENT = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;
