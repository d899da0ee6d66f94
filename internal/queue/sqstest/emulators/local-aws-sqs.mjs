// Runs local-aws-sqs on this machine, says where, and ends with its input: when the
// process that started it is gone.
import sqs from "local-aws-sqs";

const server = await sqs.createSqsServer({ hostname: "127.0.0.1", port: 0, emulateQueueCreationLifecycle: false });
console.log(`http://127.0.0.1:${server.address().port}`);
process.stdin.on("end", () => process.exit(0)).resume();
