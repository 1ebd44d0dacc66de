/** Text from elsewhere made safe for a terminal: control and direction characters other than tab become "\ufffd". */
export function printable(text: string): string {
  return text.replaceAll(/(?!\t)[\p{Cc}\u2028-\u202e\u2066-\u2069]/gu, "\ufffd");
}
