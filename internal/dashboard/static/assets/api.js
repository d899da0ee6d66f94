// The one door to the API. Every answer that is not the one hoped for becomes a
// Problem, which words.js tells people about. Addresses are relative: the page is
// served by the API itself, or by a static host that passes /api/ on.

// Problem is what went wrong: a problem document (RFC 9457), or its like for what
// never reached the API.
export class Problem extends Error {
  constructor({ status = 0, code, detail = '', instance = '', retryAfter = 0 }) {
    super(`${code}: ${detail}`);
    this.status = status;
    this.code = code;
    this.detail = detail;
    this.instance = instance; // the request's id, for the log
    this.retryAfter = retryAfter; // seconds; 0: nobody said
  }
}

// What the last answer said beside its body.
export const told = {
  skew: 0, // milliseconds that the server's clock is ahead of this one
  limit: 0, // of the tightest rate limit; 0: none was told
  remaining: 0,
};

const patience = 20_000; // milliseconds for an answer

let signedOut = () => {};

// onSignedOut calls back whenever the API no longer knows who asks.
export function onSignedOut(call) {
  signedOut = call;
}

// ask returns the body of an answer; undefined when it has none. With `also`, that
// status is an answer like 200, if it brings JSON.
export async function ask(path, { method = 'GET', body, signal, also } = {}) {
  const answer = await send(path, method, body, signal);
  note(answer.headers);
  const data = await read(answer);
  if (answer.ok || (answer.status === also && data && !data.code)) {
    if (answer.status !== 204 && data === undefined) {
      throw new Problem({ status: answer.status, code: 'STRANGE_ANSWER', detail: `${path} was not answered with JSON` });
    }
    return data;
  }
  const problem = new Problem({
    code: 'STRANGE_ANSWER',
    instance: answer.headers.get('X-Request-Id') ?? '',
    ...data,
    status: answer.status,
    retryAfter: Number(answer.headers.get('Retry-After')) || 0,
  });
  if (problem.status === 401) signedOut(problem);
  throw problem;
}

// available tells a question that this server does not know from a thing that is not
// there.
export async function available(answer) {
  try {
    return await answer;
  } catch (problem) {
    if (problem.code === 'NOT_FOUND') problem.code = 'NOT_AVAILABLE';
    throw problem;
  }
}

async function send(path, method, body, signal) {
  const limit = AbortSignal.timeout(patience);
  const init = {
    method,
    credentials: 'same-origin',
    headers: { Accept: 'application/json' },
    signal: signal ? AbortSignal.any([signal, limit]) : limit,
  };
  if (body !== undefined) {
    init.headers['Content-Type'] = 'application/json';
    init.body = JSON.stringify(body);
  }
  try {
    return await fetch(path, init);
  } catch (cause) {
    if (signal?.aborted) throw signal.reason;
    throw new Problem({ code: 'NO_ANSWER', detail: cause.name === 'TimeoutError' ? `no answer within ${patience / 1000} seconds` : '' });
  }
}

// read returns the JSON of an answer, undefined when it is none.
async function read(answer) {
  if (!/\bjson\b/.test(answer.headers.get('Content-Type') ?? '')) return undefined;
  try {
    return await answer.json();
  } catch {
    return undefined; // cut, or no JSON after all
  }
}

function note(headers) {
  const date = Date.parse(headers.get('Date') ?? '');
  if (!Number.isNaN(date)) told.skew = Math.abs(date - Date.now()) < 2000 ? 0 : date - Date.now();
  if (headers.has('X-RateLimit-Limit')) {
    told.limit = Number(headers.get('X-RateLimit-Limit'));
    told.remaining = Number(headers.get('X-RateLimit-Remaining'));
  }
}
