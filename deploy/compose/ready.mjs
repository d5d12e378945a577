// Health check of a gateway's container: exit code 0 when it can take tasks. (The image has no curl.)
const LIMIT_MS = 4_000;
const url = process.argv[2] ?? 'http://127.0.0.1:8080/health/ready';
try {
  const answer = await fetch(url, { signal: AbortSignal.timeout(LIMIT_MS) });
  if (!answer.ok) console.error(`${url}: ${answer.status} ${await answer.text()}`);
  process.exitCode = answer.ok ? 0 : 1;
} catch (error) {
  console.error(`${url}: ${error.cause?.message ?? error.message}`);
  process.exitCode = 1;
}
