// Prints what Netlify understands of netlify.toml, _redirects and _headers, as JSON:
// node parse.mjs NETLIFY_TOML FOLDER
import { parseAllHeaders } from '@netlify/headers-parser';
import { parseAllRedirects } from '@netlify/redirect-parser';

const [netlifyConfigPath, folder] = process.argv.slice(2);
const { redirects, errors } = await parseAllRedirects({ redirectsFiles: [`${folder}/_redirects`], netlifyConfigPath, minimal: true });
const { headers, errors: faults } = await parseAllHeaders({ headersFiles: [`${folder}/_headers`], netlifyConfigPath, minimal: true });
console.log(JSON.stringify({ redirects, headers, errors: [...errors, ...faults].map(String) }));
