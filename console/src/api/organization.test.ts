import { afterEach, describe, expect, it, vi } from "vitest";
import { api } from "./client";
import { onMoved } from "./moves";
import { shown } from "./organization";

const CLINIC = "org_01M8CB98TVM45FH50VCMXFKHDN";
const gone = vi.spyOn(location, "assign").mockReturnValue();

const json = (body: unknown, status = 200): Response => new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json" } });
// Before the client is made, which keeps the function that it finds.
const fetched = vi.hoisted(() => vi.spyOn(globalThis, "fetch"));
const named = (): (string | null)[] => fetched.mock.calls.map(([request]) => (request as Request).headers.get("hum-organization"));

afterEach(() => {
  delete shown.organization;
  vi.clearAllMocks();
});

describe("the organization that a page shows", () => {
  it("is named with each request, once it is known", async () => {
    fetched.mockImplementation(() => Promise.resolve(json({ organization: { id: CLINIC } })));
    await api.GET("/api/me");
    shown.organization = CLINIC;
    await api.GET("/api/flows");
    expect(named()).toEqual([null, CLINIC]);
    expect(gone).not.toHaveBeenCalled();
  });
  it("is another than the session's: the page begins anew", async () => {
    shown.organization = CLINIC;
    fetched.mockImplementation(() => Promise.resolve(json({ error: { code: "organization_changed", message: "", details: [] } }, 409)));
    await expect(api.POST("/api/flows", { body: { name: "front desk" } })).rejects.toMatchObject({ code: "organization_changed" });
    expect(gone).toHaveBeenCalledWith("/");
  });
  it("was left in another tab: the page begins anew at once", async () => {
    shown.organization = CLINIC;
    const moved = vi.fn<() => void>();
    const forget = onMoved(moved);
    const other = new BroadcastChannel("hum-organization");
    other.postMessage(CLINIC);
    other.postMessage("org_another");
    await vi.waitFor(() => expect(moved).toHaveBeenCalled());
    expect(moved).toHaveBeenCalledTimes(1);
    forget();
    other.close();
  });
});
