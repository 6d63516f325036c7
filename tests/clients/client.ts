// What a customer's program does with the client that openapi-typescript generates: create, list, patch, error, stream.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

type Flow = components["schemas"]["Flow"];
type Events = components["schemas"]["StreamCallEvents"];
declare const process: { argv: string[] };

function must(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}

const [url, key, callId] = process.argv.slice(2);
must(url !== undefined && key !== undefined && callId !== undefined, "URL, key and call");
const api = createClient<paths>({ baseUrl: url, headers: { Authorization: `Bearer ${key}` } });

const made = await api.POST("/api/flows", {
  body: {
    name: "Front desk",
    voicemail_enabled: true,
    turn_config_json: { interruptible: true, cut_after_ms: 350 },
    business_hours_json: { weekly: { mon: [["09:00", "17:00"]] } },
    transfer_map_json: { billing: "+13175551235" },
    outcome_schema_json: { type: "object", properties: { reason: { type: "string" } } },
  },
});
must(made.data !== undefined, "created");
const flow: Flow = made.data;
must(flow.business_hours_json?.weekly["mon"]?.[0]?.[1] === "17:00", "hours come back");
must(flow.kind === "inbound" && Date.parse(flow.created_at) > 0, "what is always set is not null");

const listed = await api.GET("/api/flows", { params: { query: { limit: 10 } } });
must(listed.data?.flows.some((each) => each.id === flow.id) === true, "listed");
must(listed.data.next_cursor === null, "one page");

const patched = await api.PATCH("/api/flows/{id}", { params: { path: { id: flow.id } }, body: { greeting: "Hello" } });
must(patched.data?.greeting === "Hello" && patched.data.version === 2, "patched");

const refused = await api.POST("/api/flows", { body: { name: "" } });
must(refused.error !== undefined && refused.response.status === 400, "refused");
const [detail] = refused.error.error.details;
must(detail?.field === "name" && detail.reason !== undefined, "the bad field is named");

const { data: body } = await api.GET("/api/calls/{id}/stream", { params: { path: { id: callId } }, parseAs: "stream" });
must(body !== null && body !== undefined, "a stream");
const turns: Events["transcript.turn"][] = [];
let over: Events["call.ended"] | undefined;
for (const block of (await new Response(body).text()).split("\n\n")) {
  const name = /^event: (.*)$/m.exec(block)?.[1];
  const data: unknown = JSON.parse(/^data: (.*)$/m.exec(block)?.[1] ?? "null");
  if (name === "transcript.turn") turns.push(data as Events["transcript.turn"]);
  if (name === "call.ended") over = data as Events["call.ended"];
}
must(turns[0]?.role === "agent" && turns[0].text === "Hi" && turns[0].item_id === "1-a", "the turn");
must(over?.status === "completed", "the end");
console.log("ok");
