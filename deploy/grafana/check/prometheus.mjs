// The few calls of Prometheus' HTTP API that the checks need.

export class Prometheus {
  constructor(url) {
    this.base = url.replace(/\/+$/, '');
  }

  // instant evaluates at one time (in seconds) and gives {resultType, result}.
  instant(query, time) {
    return this.#get('query', {query, time});
  }

  // range evaluates at each step; all in seconds, from and to aligned to the step as Grafana does.
  range(query, from, to, step) {
    const align = t => Math.floor(t / step) * step;
    return this.#get('query_range', {query, start: align(from), end: align(to), step});
  }

  // labelValues is what a query variable shows.
  labelValues(label, match, from, to) {
    return this.#get(`label/${encodeURIComponent(label)}/values`, {'match[]': match, start: from, end: to});
  }

  async #get(path, parameters) {
    const answer = await fetch(`${this.base}/api/v1/${path}?${new URLSearchParams(parameters)}`, {signal: AbortSignal.timeout(30_000)});
    const body = await answer.json().catch(() => ({error: `HTTP ${answer.status} without JSON`}));
    if (!answer.ok || body.status !== 'success') throw new Error(`${body.errorType ?? 'error'}: ${body.error}`);
    // A warning means that a part of the answer is missing or means something else than was asked.
    if (body.warnings?.length) throw new Error(`warning: ${body.warnings.join('; ')}`);
    return body.data;
  }
}

// isEmpty: no series, or nothing in them but NaN, both of which Grafana draws as no data.
export function isEmpty({resultType, result}) {
  if (resultType === 'matrix') return !result.some(s => s.values.some(([, v]) => v !== 'NaN'));
  if (resultType === 'vector') return !result.some(s => s.value[1] !== 'NaN');
  throw new Error(`a query answered with a ${resultType}`);
}

// shownRange is the time to look at: from the first sample of a rootwatch task within six hours until now, five
// minutes at least, so that the picture of a short run is not mostly empty.
export async function shownRange(prometheus, now = Date.now() / 1000) {
  const query = 'min(up{job="rootwatch"})';
  const to = Math.floor(now);
  const {result: past} = await prometheus.range(query, to - 6 * 3600, to, 60);
  const first = past[0]?.values[0][0] ?? to;
  if (past.length === 0 && isEmpty(await prometheus.instant(query, to))) {
    throw new Error('this Prometheus has scraped no job "rootwatch" within six hours');
  }
  return {from: Math.min(first - 60, to - 300), to};
}
