// What a topic name and a topic filter may look like (MQTT 5.0 sections 4.7.1 and 4.7.3). Each function returns what is
// wrong, or an empty string. The broker may be stricter; its reason code is shown then.

const TOPIC_BYTES_MAX = 65_535;

export function checkTopicName(topic) {
  return checkText(topic, "topic") || (/[+#]/.test(topic) ? "a topic to publish to cannot hold + or #" : "");
}

export function checkTopicFilter(filter) {
  const wrong = checkText(filter, "topic filter");
  if (wrong) return wrong;
  const levels = filter.split("/");
  const last = levels.length - 1;
  if (levels.some((level, i) => level.includes("#") && (level !== "#" || i !== last))) {
    return "# must be the last level of a filter, alone";
  }
  return levels.some((level) => level.includes("+") && level !== "+") ? "+ must stand alone in its level" : "";
}

function checkText(text, what) {
  if (text === "") return `the ${what} is empty`;
  if (text.includes("\0")) return `the ${what} cannot hold a NUL character`;
  return new TextEncoder().encode(text).length > TOPIC_BYTES_MAX ? `the ${what} is too long` : "";
}
