// A device with the AWS IoT Device SDK v2: hears of what is desired and reports it.
// node shadow_device.mjs PORT THING [SHADOW]; one line of JSON per event on stdout; ends when stdin does.
import { createInterface } from "node:readline";
import sdk from "aws-iot-device-sdk-v2";

const { iotshadow, mqtt5 } = sdk;
const [port, thingName, shadowName] = process.argv.slice(2);
const shadow = shadowName ? { thingName, shadowName } : { thingName };
const tell = (event, more = {}) => console.log(JSON.stringify({ event, ...more }));

const mqtt = new mqtt5.Mqtt5Client({
  hostName: "127.0.0.1",
  port: Number(port),
  connectProperties: { clientId: thingName, keepAliveIntervalSeconds: 60 },
});
const connected = new Promise((resolve) => mqtt.once("connectionSuccess", resolve));
mqtt.start();
await connected;

const client = iotshadow.IotShadowClientv2.newFromMqtt5(mqtt, {
  maxRequestResponseSubscriptions: 6,
  maxStreamingSubscriptions: 2,
  operationTimeoutInSeconds: 20,
});
const named = (operation) => client[operation.replace("Shadow", shadowName ? "NamedShadow" : "Shadow")].bind(client);
const ask = async (operation, request = {}) => {
  try {
    return await named(operation)({ ...shadow, ...request });
  } catch (error) {
    if (!error.modeledError) throw error;
    return { code: error.modeledError.code, message: error.modeledError.message };
  }
};

async function stream(operation, hear) {
  const made = named(operation)(shadow);
  const established = new Promise((resolve) => made.on("subscriptionStatus", resolve));
  made.on("incomingPublish", ({ message }) => hear(message));
  made.open();
  await established;
  return made;
}

const deltas = await stream("createShadowDeltaUpdatedStream", async ({ state, version }) => {
  tell("delta", { state, version });
  const accepted = await ask("updateShadow", { state: { reported: state }, version });
  tell("reported", { state: accepted.state, version: accepted.version, code: accepted.code });
});
const documents = await stream("createShadowUpdatedStream", ({ previous, current }) =>
  tell("documents", { previous: previous.version, current: current.version }));

tell("begins", await ask("getShadow"));
for await (const line of createInterface({ input: process.stdin })) {
  const [operation, request] = JSON.parse(line);
  const { state, version, code, message } = await ask(operation, request);
  tell(operation, { state, version, code, message });
}
deltas.close();
documents.close();
client.close();
mqtt.stop();
process.exit(0); // The SDK's native threads would keep it.
