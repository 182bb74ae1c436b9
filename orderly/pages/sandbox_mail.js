// The mails of the sandbox, the newest first. New mails appear without a reload.

const POLL_MILLISECONDS = 2000;
const api = new URL("../api/v1/sandbox/mail?limit=50", location.href);
const list = document.getElementById("mails");
const status = document.getElementById("status");
const shown = new Set();

/** Return an element with text or children. */
function create(name, properties, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

function item(mail) {
  const time = create("time", { dateTime: mail.sent_at }, new Date(mail.sent_at).toLocaleString());
  const summary = create("summary", {}, create("b", {}, mail.subject), ` to ${mail.to}, `, time);
  const details = create("details", {}, summary);
  details.addEventListener("toggle", () => {
    if (!details.open || details.querySelector("iframe")) return;
    // The response has a policy that forbids scripts. Links open in this window.
    const frame = create("iframe", { title: mail.subject, src: `mail/${encodeURIComponent(mail.id)}` });
    details.append(frame, create("pre", {}, mail.text));
  });
  return create("li", {}, details);
}

async function load() {
  try {
    const response = await fetch(api);
    const body = await response.json();
    if (!response.ok) throw new Error(body.detail);
    const added = body.items.filter((mail) => !shown.has(mail.id));
    for (const mail of added) shown.add(mail.id);
    list.prepend(...added.map(item));
    status.textContent = shown.size ? "" : "No mails yet. The shop sends them some seconds after their cause.";
  } catch (error) {
    status.textContent = `The mails cannot be loaded: ${error.message}`;
  }
  setTimeout(load, POLL_MILLISECONDS);
}

await load();
