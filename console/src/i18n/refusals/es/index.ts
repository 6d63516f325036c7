/**
 * What the platform says when it refuses something, in Spanish: each sentence with places for its values, and the same in Spanish; a file for
 * each area.
 *
 * A place of `words` has one of a few words; `{reason}` holds a sentence of these tables, `{reasons}` several.
 */
import { refusalsBy, translator } from "../table";
import agents from "./agents";
import approvals from "./approvals";
import bookings from "./bookings";
import calls from "./calls";
import campaigns from "./campaigns";
import contacts from "./contacts";
import existence from "./existence";
import fields from "./fields";
import numbers from "./numbers";
import organization from "./organization";
import patterns from "./patterns";
import requests from "./requests";
import rights from "./rights";
import schemas from "./schemas";
import texts from "./texts";
import tools from "./tools";
import webhooks from "./webhooks";
import words from "./words";

const sentences = [fields, patterns, schemas, requests, rights, existence, calls, bookings, approvals, numbers, texts, campaigns, contacts, agents, organization, tools, webhooks].flat();

export default refusalsBy(translator({ words, sentences }));
