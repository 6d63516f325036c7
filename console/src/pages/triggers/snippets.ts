/** What is pasted into a shell to try a trigger. */

/** For the shell: in single quotes, with those that are inside left out of them. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** A post of JSON; `idField` is what tells one occurrence from another. */
export function postOf(url: string, idField: string): string {
  const body = JSON.stringify(idField ? { [idField]: "order-1001", total: 42 } : { total: 42 });
  return `curl -sS -X POST ${quoted(url)} -H 'Content-Type: application/json' -d ${quoted(body)}`;
}

/** The same, signed by Standard Webhooks with a secret. */
export function signedPostOf(url: string, secret: string, idField: string): string {
  const body = JSON.stringify(idField ? { [idField]: "order-1001", total: 42 } : { total: 42 });
  return [
    `SECRET=${quoted(secret)} ID=msg_$(date +%s) AT=$(date +%s) BODY=${quoted(body)}`,
    `KEY=$(printf %s "\${SECRET#whsec_}" | base64 -d | od -An -v -tx1 | tr -d ' \\n')`,
    `SIGNATURE=$(printf '%s.%s.%s' "$ID" "$AT" "$BODY" | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$KEY" -binary | base64)`,
    `curl -sS -X POST ${quoted(url)} -H 'Content-Type: application/json' -H "webhook-id: $ID" -H "webhook-timestamp: $AT" -H "webhook-signature: v1,$SIGNATURE" -d "$BODY"`,
  ].join("\n");
}
