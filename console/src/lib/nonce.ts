/** The nonce under which this page's policy allows styles that libraries make (waveform, editor). */
export function nonce(): string {
  return document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]')?.nonce ?? "";
}
