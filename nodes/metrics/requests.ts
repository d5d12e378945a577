// Requests as figures. Routes are those of the route table, so their number is known.
import type { RequestTimer } from '../../gateway/index.js';
import { type Family, type HistogramSeries, once } from './instruments.js';

/** Durations of answered requests, for the gateway. */
export const timeRequests =
  (requests: Family<HistogramSeries>): RequestTimer =>
  (method, route) => {
    const series = once((status: number) => requests.of(method, route, String(status)));
    return (status, ms) => series(status).observe(ms / 1_000);
  };
