// MQTT.js against a broker: mqttjs_client.mjs MQTT_MODULE URL VERSION; prints what it heard as one JSON object.
import { createRequire } from "node:module";

const [module, url, version] = process.argv.slice(2);
const { default: mqtt } = await import(createRequire(import.meta.url).resolve(module));
const v5 = version === "5";
const base = "js/" + Math.random().toString(36).slice(2);

const open = (options = {}) => mqtt.connectAsync(url, { protocolVersion: Number(version), reconnectPeriod: 0, ...options });

/** The next `count` messages of a client: [topic, payload, qos, retain, properties]. */
const heard = (client, count) => new Promise((resolve) => {
  const found = [];
  client.on("message", function listen(topic, payload, packet) {
    found.push([topic.slice(base.length), payload.toString(), packet.qos, packet.retain, packet.properties ?? null]);
    if (found.length < count) return;
    client.off("message", listen);
    resolve(found);
  });
});

const result = {};
const subscriber = await open(v5 ? { properties: { topicAliasMaximum: 5, receiveMaximum: 2 } } : {});
const publisher = await open({ will: { topic: base + "/will", payload: Buffer.from("w"), qos: 1, retain: false } });
result.granted = (await subscriber.subscribeAsync({ [base + "/#"]: { qos: 2, rap: true } })).map((item) => item.qos);
const live = heard(subscriber, 13);
for (let i = 0; i < 12; i++) await publisher.publishAsync(base + "/" + (i % 2), String(i), { qos: i % 3 });
const properties = v5 ? { contentType: "text/plain", correlationData: Buffer.from("c"), userProperties: { a: ["1", "2"], b: "3" } } : undefined;
await publisher.publishAsync(base + "/kept", "kept", { qos: 1, retain: true, properties });
result.live = await live;

const late = await open();
const kept = heard(late, 1);
await late.subscribeAsync(base + "/kept");
result.kept = await kept;
const gone = heard(late, 1);
await publisher.publishAsync(base + "/kept", "", { retain: true });
await gone;

const will = heard(late, 1);
await late.subscribeAsync(base + "/will", { qos: 1 });
publisher.stream.destroy();
result.will = await will;

const clientId = base.slice(3);
const keep = { clientId, clean: false, ...(v5 ? { properties: { sessionExpiryInterval: 60 } } : {}) };
const before = await open(keep);
await before.subscribeAsync(base + "/queued", { qos: 1 });
await before.endAsync();
await late.publishAsync(base + "/queued", "queued", { qos: 1 });
const again = mqtt.connect(url, { protocolVersion: Number(version), reconnectPeriod: 0, ...keep });
const queued = heard(again, 1);
again.on("connect", (packet) => { result.present = packet.sessionPresent; });
result.queued = await queued;
await Promise.all([subscriber.endAsync(), late.endAsync(), again.endAsync()]);
console.log(JSON.stringify(result));
process.exit(0);
