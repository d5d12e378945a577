// Metrics: what Prometheus scrapes of this process.
import { STATUS } from '../problem.js';
import { route } from '../table.js';

const metrics = route({
  method: 'GET',
  path: '/metrics',
  operationId: 'getMetrics',
  tag: 'health',
  summary: 'Figures of this process, for Prometheus',
  description: "Prometheus' text format 0.0.4. What is not answered in time is missing, and `dats_scrape_unanswered_total` says so.",
  success: [{ status: STATUS.ok, description: 'The figures.', contentType: 'text/plain' }],
  problems: [],
  handle: async (_call, { deps }) => {
    const { contentType, body } = await deps.metrics();
    return { status: STATUS.ok, headers: { 'content-type': contentType, 'cache-control': 'no-store' }, body };
  },
});

export const metricsRoutes = [metrics];
