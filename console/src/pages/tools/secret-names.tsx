import { Link } from "@tanstack/react-router";
import { useTexts } from "@/i18n";
import { Copy } from "@/ui/copy";
import { useIsAdmin, useSecrets } from "./queries";

/** The secrets that a request may write, to be copied into it. */
export function SecretNames() {
  const t = useTexts("tools");
  const isAdmin = useIsAdmin();
  const { rows } = useSecrets();
  if (!isAdmin) return null;
  return (
    <details className="text-[13px]">
      <summary className="w-fit font-medium text-accent hover:underline">{t.secrets}</summary>
      {rows.length > 0 && (
        <ul className="mt-2 flex flex-wrap gap-2">
          {rows.map((secret) => (
            <li key={secret.id}>
              <Copy value={`{{ secrets.${secret.name} }}`} /> <span className="text-xs text-dim">{secret.host}</span>
            </li>
          ))}
        </ul>
      )}
      <p className="mt-2 text-dim">
        {t.secretsHint}{" "}
        <Link to="/tools/secrets" className="text-accent underline">
          {t.toSecrets}
        </Link>
      </p>
    </details>
  );
}
