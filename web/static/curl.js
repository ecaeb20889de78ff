// The command that asks the same from a shell.

const PLAIN = /^[A-Za-z0-9_.,:@=/+-]+$/;

/** Return one POSIX shell line that posts the file `name` with `fields` to `address`. */
export function curlLine(address, name, fields) {
  const others = Object.entries(fields).map(([key, value]) => `${key}=${value}`);
  const form = ["image=@" + formName(name), ...others];
  return ["curl", ...form.flatMap((field) => ["-F", field]), address].map(quote).join(" ");
}

// curl itself reads ; and , in a form's file name, unless it stands in double quotes.
function formName(name) {
  return /^[\w.\- ]+$/u.test(name) ? name : `"${name.replace(/["\\]/g, "\\$&")}"`;
}

function quote(word) {
  return PLAIN.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
