import { useNavigate, useSearch } from "@tanstack/react-router";
import { Search, SearchX } from "lucide-react";
import { useState } from "react";
import { useChange } from "@/api/acts";
import { api, data, idempotencyKey } from "@/api/client";
import { useTexts } from "@/i18n";
import { count, phone } from "@/lib/format";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { SelectField, TextField } from "@/ui/field";
import { Card, Empty, Loaded, Page } from "@/ui/layout";
import { toast } from "@/ui/toast";
import { Capabilities, useAgentChoices } from "./parts";
import { type AvailableNumber, TOUCHED, useAvailable, usePlanUse } from "./queries";
import { CAPABILITIES, type Capability, type Wishes, wishesOf } from "./wishes";

/** Search what the carrier offers, and buy it after being told what that means. */
export function BuyNumber() {
  const t = useTexts("numbers");
  const wishes = useSearch({ from: "/shell/numbers/buy" });
  const query = useAvailable(wishes);
  const [chosen, setChosen] = useState<AvailableNumber | null>(null);
  return (
    <Page title={t.searchTitle} lead={t.searchLead} back={{ to: "/numbers", label: t.back }}>
      <div className="max-w-4xl space-y-4">
        <Filters key={JSON.stringify(wishes)} wishes={wishes} />
        <Loaded query={query}>
          {({ numbers }) =>
            numbers.length === 0 ? (
              <Empty icon={SearchX} title={t.noneFound}>
                {t.noneFoundLead}
              </Empty>
            ) : (
              <Card isFlush>
                <ul>
                  {numbers.map((each) => (
                    <Offer key={each.e164} number={each} onBuy={() => setChosen(each)} />
                  ))}
                </ul>
              </Card>
            )
          }
        </Loaded>
      </div>
      {chosen && <Purchase key={chosen.e164} number={chosen} onClose={() => setChosen(null)} />}
    </Page>
  );
}

function Offer({ number, onBuy }: { number: AvailableNumber; onBuy: () => void }) {
  const t = useTexts("numbers");
  return (
    <li className="flex flex-wrap items-center gap-x-4 gap-y-1 border-b border-line px-4 py-2.5 last:border-b-0">
      <span className="tabular w-40 font-medium">{phone(number.e164)}</span>
      <span className="min-w-0 flex-1 truncate text-dim">{[number.locality, number.region, number.country].filter(Boolean).join(", ")}</span>
      <span className="max-md:hidden">
        <Capabilities of={number.capabilities} />
      </span>
      <Button size="sm" needs="numbers:write" aria-label={`${t.buyIt} ${phone(number.e164)}`} onClick={onBuy}>
        {t.buyIt}
      </Button>
    </li>
  );
}

function Filters({ wishes }: { wishes: Wishes }) {
  const t = useTexts("numbers");
  const navigate = useNavigate();
  const names: Record<Capability, string> = { voice: t.voiceCap, sms: t.smsCap, mms: t.mmsCap };
  return (
    <Card>
      <form
        role="search"
        onSubmit={(event) => {
          event.preventDefault();
          const form = new FormData(event.currentTarget);
          const country = String(form.get("country")).toUpperCase();
          void navigate({ to: "/numbers/buy", search: wishesOf({ ...Object.fromEntries(form), country, can: form.getAll("can") }) });
        }}
      >
        <div className="grid grid-cols-2 gap-x-3 md:grid-cols-5">
          <TextField label={t.country} name="country" defaultValue={wishes.country ?? "US"} maxLength={2} pattern="[A-Za-z]{2}" />
          <TextField label={t.areaCode} name="area" defaultValue={wishes.area} maxLength={3} pattern="[0-9]{3}" inputMode="numeric" placeholder="317" />
          <TextField label={t.contains} name="contains" hint={t.containsHint} defaultValue={wishes.contains} maxLength={15} pattern="[0-9*]{2,15}" />
          <TextField label={t.locality} name="locality" defaultValue={wishes.locality} maxLength={100} />
          <TextField label={t.region} name="region" defaultValue={wishes.region} maxLength={100} />
        </div>
        <div className="flex flex-wrap items-center gap-x-5 gap-y-2">
          <fieldset className="flex flex-wrap items-center gap-x-4 gap-y-1">
            <legend className="float-left mr-3 text-[13px] font-medium">{t.capabilities}</legend>
            {CAPABILITIES.map((each) => (
              <label key={each} className="flex items-center gap-1.5 max-md:min-h-9">
                <input type="checkbox" name="can" value={each} defaultChecked={wishes.can?.includes(each)} className="size-4 accent-(--color-accent)" />
                {names[each]}
              </label>
            ))}
          </fieldset>
          <span className="ml-auto">
            <Button type="submit" icon={Search}>
              {t.search}
            </Button>
          </span>
        </div>
      </form>
    </Card>
  );
}

function Purchase({ number, onClose }: { number: AvailableNumber; onClose: () => void }) {
  const t = useTexts("numbers");
  const shell = useTexts("shell");
  const navigate = useNavigate();
  const [key] = useState(idempotencyKey); // for this purchase, however often it is tried
  const [voice, setVoice] = useState("");
  const [sms, setSms] = useState("");
  const plan = usePlanUse("numbers");
  const [voiceChoices, smsChoices] = [useAgentChoices("voice", voice), useAgentChoices("sms", sms)];
  const buy = useChange(
    () =>
      data(
        api.POST("/api/numbers/buy", {
          body: { e164: number.e164, flow_id: voice || null, sms_flow_id: sms || null },
          params: { header: { "Idempotency-Key": key } },
        }),
      ),
    [...TOUCHED, ["available numbers"], ["billing"]],
    {
      onDone: (bought) => {
        toast.done(t.bought(phone(bought.e164)));
        void navigate({ to: "/numbers/$numberId", params: { numberId: bought.id } });
      },
    },
  );
  return (
    <Dialog
      isOpen
      onClose={onClose}
      title={t.confirmTitle(phone(number.e164))}
      actions={
        <>
          <Button onClick={onClose}>{shell.cancel}</Button>
          <Button look="primary" needs="numbers:write" busy={buy.isPending} onClick={() => buy.mutate(undefined)}>
            {buy.isPending ? t.buying : t.buyIt}
          </Button>
        </>
      }
    >
      <div className="space-y-3">
        <p>{t.confirmLead}</p>
        {plan?.limit != null && <p className="text-dim">{t.confirmPlan(count(plan.used), count(plan.limit))}</p>}
        <div>
          {number.capabilities.voice && <SelectField label={t.voiceAgent} choices={voiceChoices} value={voice} onChange={(event) => setVoice(event.target.value)} />}
          {number.capabilities.sms && <SelectField label={t.smsAgent} choices={smsChoices} value={sms} onChange={(event) => setSms(event.target.value)} />}
        </div>
      </div>
    </Dialog>
  );
}
