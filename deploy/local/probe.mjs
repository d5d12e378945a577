// Asking a server whether it answers, in its own words. Never throws: no answer within the limit is `false`.
import { createConnection, createServer } from 'node:net';
import { HOST } from './settings.mjs';

export const PROBE_LIMIT_MS = 2_000;
const REPLY_LIMIT_BYTES = 64 * 1024;
const API_VERSIONS = 18;
const DESCRIBE_CLUSTER = 60;

/** Bytes that make no sense come from another kind of server: no answer. */
const judged = (done, reply, send) => {
  try {
    return done(reply, send);
  } catch {
    return false;
  }
};

/**
 * Sends `request` and hands what came back to `done` after each chunk, until it says true or false.
 * @param {(reply: Buffer, send: (more: Buffer) => void) => boolean | undefined} done
 * @returns {Promise<boolean>}
 */
const converse = (port, request, done) =>
  new Promise((resolve) => {
    const socket = createConnection({ host: HOST, port });
    let reply = Buffer.alloc(0);
    const end = (answer) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => end(false), PROBE_LIMIT_MS);
    socket.on('connect', () => socket.write(request));
    socket.on('error', () => end(false));
    socket.on('close', () => end(false));
    socket.on('data', (chunk) => {
      reply = Buffer.concat([reply, chunk]);
      if (reply.length > REPLY_LIMIT_BYTES) return end(false);
      const answer = judged(done, reply, (more) => socket.write(more));
      if (answer !== undefined) end(answer);
    });
  });

/** @param {number} port */
export const redisAnswers = (port) =>
  converse(port, 'PING\r\n', (reply) => (reply.includes('\r\n') ? reply.toString('latin1').startsWith('+PONG') : undefined));

const CLIENT = Buffer.from('dats-probe');
/** A request with its length, and a header of version 1 (version 2, where `flexible`, ends with an empty set of tags). */
const kafkaRequest = (api, id, body, flexible) => {
  const head = Buffer.alloc(14);
  head.writeInt32BE(10 + CLIENT.length + (flexible ? 1 : 0) + body.length, 0);
  head.writeInt16BE(api, 4);
  head.writeInt32BE(id, 8);
  head.writeInt16BE(CLIENT.length, 12);
  return Buffer.concat([head, CLIENT, Buffer.alloc(flexible ? 1 : 0), body]);
};

const varint = (bytes, at) => {
  let value = 0;
  for (let shift = 0; shift < 35; shift += 7, at += 1) {
    value |= (bytes[at] & 0x7f) << shift;
    if (bytes[at] < 0x80) return { value, next: at + 1 };
  }
  return { value, next: at };
};

/** Brokers that are alive, as a DescribeCluster answer of version 0 tells: length, id, tags, throttle, error, message, cluster id, controller, brokers. */
const brokersIn = (answer) => {
  if (answer.readInt16BE(13) !== 0) return 0;
  let at = 15;
  for (let text = 0; text < 2; text += 1) {
    const { value, next } = varint(answer, at);
    at = next + Math.max(0, value - 1);
  }
  return varint(answer, at + 4).value - 1;
};

const frame = (bytes, at) =>
  bytes.length >= at + 4 && bytes.length >= at + 4 + bytes.readInt32BE(at) ? bytes.subarray(at, at + 4 + bytes.readInt32BE(at)) : undefined;

/**
 * A broker answers when it accepts ApiVersions and says that a broker of the cluster (itself) is alive: right after its start it
 * listens, but is still fenced and would refuse every topic.
 * @param {number} port
 */
export const kafkaAnswers = (port) => {
  let asked = false;
  return converse(port, kafkaRequest(API_VERSIONS, 1, Buffer.alloc(0), false), (reply, send) => {
    const versions = frame(reply, 0);
    if (!versions) return undefined;
    if (versions.readInt32BE(4) !== 1 || versions.readInt16BE(8) !== 0) return false;
    if (!asked) {
      asked = true;
      send(kafkaRequest(DESCRIBE_CLUSTER, 2, Buffer.from([0, 0]), true));
    }
    const cluster = frame(reply, versions.length);
    return cluster && brokersIn(cluster) > 0;
  });
};

/** @param {string} url answers with 2xx and JSON */
export const httpAnswers = async (url) => {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(PROBE_LIMIT_MS), redirect: 'error' });
    await answer.json();
    return answer.ok;
  } catch {
    return false;
  }
};

/** Whether nobody listens on this port of 127.0.0.1. */
export const portIsFree = (port) =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host: HOST, port, exclusive: true }, () => server.close(() => resolve(true)));
  });
