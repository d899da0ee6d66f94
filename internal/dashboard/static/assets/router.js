// Which view an address opens. The address is behind the #, so that a static host
// needs no rules and no server's log holds the ids that people look at.

// parse splits an address into path and query.
export function parse(hash) {
  const [path, query = ''] = hash.replace(/^#/, '').split('?');
  return { path: path || '/', query: new URLSearchParams(query) };
}

// find returns the route of a path and what its {names} stand for.
export function find(routes, path) {
  for (const route of routes) {
    const params = match(route.path.split('/'), path.split('/'));
    if (params) return { route, params };
  }
  return null;
}

function match(pattern, parts) {
  if (pattern.length !== parts.length) return null;
  const params = {};
  for (let i = 0; i < pattern.length; i++) {
    const name = pattern[i].match(/^\{(\w+)\}$/)?.[1];
    if (!name) {
      if (pattern[i] !== parts[i]) return null;
      continue;
    }
    if (!parts[i]) return null;
    try {
      params[name] = decodeURIComponent(parts[i]);
    } catch {
      return null; // a % that stands for nothing
    }
  }
  return params;
}
