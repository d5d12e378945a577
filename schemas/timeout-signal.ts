/**
 * `AbortSignal.timeout`, kept until it has fired. Node's own is held by nobody but who listens to it, and `AbortSignal.any` holds what it is made of weakly: once garbage
 * was collected (seen with Node 20.20), the time never is over, and what waits for it waits for ever.
 *
 * @param ms milliseconds; the process does not stay for it
 */
export const timeoutSignal = (ms: number): AbortSignal => {
  const over = new AbortController();
  setTimeout(() => over.abort(new DOMException('the operation took too long', 'TimeoutError')), ms).unref();
  return over.signal;
};
