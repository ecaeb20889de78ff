// The command that asks the same from a shell.

const PLAIN = /^[A-Za-z0-9_.,:@=/+-]+$/;

/** Return one POSIX shell line that posts the file `name` with `fields` to `address`.
 *
 * An API key is not shown: the shell has it in `$KEY`, where one is needed. */
export function curlLine(address, name, fields, needsKey) {
  const others = Object.entries(fields).map(([key, value]) => `${key}=${value}`);
  const form = ["image=@" + formName(name), ...others];
  const line = [...form.flatMap((field) => ["-F", field]), address].map(quote).join(" ");
  return needsKey ? `curl -H "X-API-Key: $KEY" ${line}` : `curl ${line}`;
}

// curl itself reads ; and , in a form's file name, unless it stands in double quotes.
function formName(name) {
  return /^[\w.\- ]+$/u.test(name) ? name : `"${name.replace(/["\\]/g, "\\$&")}"`;
}

function quote(word) {
  return PLAIN.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
