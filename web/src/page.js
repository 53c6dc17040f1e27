// Small helpers on the document that both halves of the page use.

export function element(id) {
  return document.getElementById(id);
}

// Makes <tag class="className">text</tag>; text is never markup.
export function make(tag, className, text = "") {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text;
  return node;
}

// Shows what describeLink() says in a role="status" element. Equal text is not written again, lest it be read aloud again.
export function showLink(output, { look, text, countdown }) {
  const [main, rest] = output.children;
  output.dataset.look = look;
  if (main.textContent !== text) main.textContent = text;
  if (rest.textContent !== countdown) rest.textContent = countdown;
}

const WIDE_DUMP_PX = 640;

// Bytes per row of a hex dump that is to fit into container.
export function dumpColumns(container) {
  return container.clientWidth >= WIDE_DUMP_PX ? 16 : 8;
}
