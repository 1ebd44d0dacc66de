import { expect, test } from "vitest";
import { topicsIn } from "./browse.ts";
import { address } from "./settings.ts";

/** Answers to GetEventProperties as the specification and makers write them. */

const head =
  '<env:Envelope xmlns:env="http://www.w3.org/2003/05/soap-envelope" xmlns:tev="http://www.onvif.org/ver10/events/wsdl" ' +
  'xmlns:wstop="http://docs.oasis-open.org/wsn/t-1" xmlns:tt="http://www.onvif.org/ver10/schema" ' +
  'xmlns:tns1="http://www.onvif.org/ver10/topics" xmlns:tnsaxis="http://www.axis.com/2009/event/topics">';

const answer = (topics: string) =>
  `${head}<env:Body><tev:GetEventPropertiesResponse><wstop:TopicSet>${topics}</wstop:TopicSet>` +
  "</tev:GetEventPropertiesResponse></env:Body></env:Envelope>";

test("topics of the specification and of makers are named as their events name them", () => {
  const found = topicsIn(
    answer(`
      <tns1:RuleEngine><CellMotionDetector><Motion wstop:topic="true"><tt:MessageDescription IsProperty="true">
        <tt:Source>
          <tt:SimpleItemDescription Name="VideoSourceConfigurationToken" Type="tt:ReferenceToken"/>
          <tt:SimpleItemDescription Name="Rule" Type="xsd:string"/>
        </tt:Source>
        <tt:Data><tt:SimpleItemDescription Name="IsMotion" Type="xsd:boolean"/></tt:Data>
      </tt:MessageDescription></Motion></CellMotionDetector></tns1:RuleEngine>
      <tns1:Device><tnsaxis:HardwareFailure><PowerSupplyFailure wstop:topic="true"><tt:MessageDescription>
        <tt:Data><tt:SimpleItemDescription Name="Volts" Type="xsd:float"/><tt:SimpleItemDescription Name="When" Type="xsd:dateTime"/></tt:Data>
      </tt:MessageDescription></PowerSupplyFailure></tnsaxis:HardwareFailure></tns1:Device>`),
  );
  expect(found).toMatchObject([
    {
      what: "record",
      address: { topic: "RuleEngine/CellMotionDetector/Motion" },
      type: "property",
      fields: [
        { address: { item: "VideoSourceConfigurationToken", part: "source" }, type: "text" },
        { address: { item: "Rule", part: "source" }, more: { instance: "source" } },
        { address: { item: "IsMotion", part: "data", type: "boolean" }, type: "boolean" },
      ],
    },
    {
      address: { topic: "Device/tnsaxis:HardwareFailure/PowerSupplyFailure" },
      type: "event",
      fields: [
        { address: { item: "Volts", type: "number" } },
        { address: { item: "When", type: "time" }, type: "text" },
      ],
    },
  ]);
  for (const one of found) expect("what" in one && address.safeParse(one.address).success).toBe(true);
});

test("what is more than the driver keeps is told as left out", () => {
  const item = '<tt:SimpleItemDescription Name="A" Type="xsd:int"/>';
  const data = `<tt:MessageDescription><tt:Data>${item.repeat(52)}</tt:Data></tt:MessageDescription>`;
  const topics = Array.from({ length: 503 }, (_, i) => `<tns1:T${i} wstop:topic="true"/>`).join("");
  const deep = `${"<tns1:D>".repeat(14)}${"</tns1:D>".repeat(14)}`;
  const found = topicsIn(answer(`<tns1:Own wstop:topic="true">${data}</tns1:Own>${topics}${deep}`));
  expect(found.at(-1)).toEqual({ left: "bound", entries: 4, branches: 3 });
});

test.each([
  ["nothing", answer("")],
  ["no topics", `${head}<env:Body/></env:Envelope>`],
  ["a topic of one part without items", answer('<tns1:Monitoring wstop:topic="true"/>')],
  ["a description that is text", answer("<tns1:A><tt:MessageDescription>x</tt:MessageDescription></tns1:A>")],
  ["no XML", "<<<"],
])("an answer with %s does no harm", (_, xml) => {
  expect(() => topicsIn(xml)).not.toThrow();
});
