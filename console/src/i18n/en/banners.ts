/** What is said above every page while it lasts: that the connection is lost; what is a stand-in here, and how to change that. */
export default {
  offline: "This device has no network. What you see may be out of date, and nothing is saved until it is back.",
  linkLost: "The connection is lost. What you see may be out of date; it is tried again.",
  limited: "You see some numbers and agents, and what belongs to them. An admin can show you more, under Team.",
  name: "Practice",
  both: "No telephone reaches these numbers, and the agents' words come from a practice model that follows rules.",
  model: "The agents' words come from a practice model that follows rules.",
  carrier: "No telephone reaches these numbers: the carrier is a stand-in.",
  goLive: "How to go live",
  hide: "Hide until the browser is closed",
  tryLead: "A practice model answers. It understands little, and does this:",
  tryWays: [
    "answers questions with the prompt's own sentences, or from the agent's documents",
    "asks for what the prompt says to ask for",
    "uses a tool when you say what its name says: “I'd like to book an appointment” for book_appointment; it asks first for what the tool needs",
    "transfers when you ask for a person, if the agent may",
  ],
  tryReal: "For a real model, set OPENAI_API_KEY and start again.",
  callLead: (number: string) => `No telephone reaches ${number} here. Talk to the agent in the browser, or type this in a terminal:`,
};
