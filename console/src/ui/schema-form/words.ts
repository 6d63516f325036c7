/** What a member of a form is called, and what is said of it. */
export interface Words {
  label: string;
  hint?: string;
}
