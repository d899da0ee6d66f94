// Runs fauxqs on this machine, says where, and ends with its input: when the
// process that started it is gone.
import { buildApp } from "fauxqs";

const app = buildApp({ logger: false, host: "localhost" });
await app.listen({ host: "127.0.0.1", port: 0 });
console.log(`http://127.0.0.1:${app.server.address().port}`);
process.stdin.on("end", () => process.exit(0)).resume();
