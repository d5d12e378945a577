// `attributesSchema` as plain comparisons: decoding checks fifteen attributes ten times a task, and the schema takes three microseconds for it.
//
// A1. Accepts exactly what `attributesSchema` accepts (property-tested against it). It says yes or no; why not, the schema says.
import { TRACEPARENT } from './ids.js';

const AFTER_OFFSET = /^-?\d{1,15}$/;

const isText = (value: unknown, min: number, max: number): boolean =>
  typeof value === 'string' && value.length >= min && value.length <= max;

export const areAttributes = (headers: Readonly<Record<string, unknown>>): boolean => {
  const { causationid, traceparent, afteroffset } = headers;
  return (
    headers.specversion === '1.0' &&
    headers.datacontenttype === 'application/json' &&
    isText(headers.id, 1, 64) &&
    isText(headers.source, 1, 256) &&
    isText(headers.type, 1, 128) &&
    isText(headers.time, 20, 40) &&
    isText(headers.subject, 1, 256) &&
    isText(headers.dataschema, 1, 128) &&
    isText(headers.projectid, 1, 128) &&
    isText(headers.correlationid, 1, 128) &&
    isText(headers.actor, 1, 128) &&
    isText(headers.configversion, 1, 64) &&
    (causationid === undefined || isText(causationid, 1, 64)) &&
    (traceparent === undefined || (typeof traceparent === 'string' && TRACEPARENT.test(traceparent))) &&
    (afteroffset === undefined || (typeof afteroffset === 'string' && AFTER_OFFSET.test(afteroffset)))
  );
};
