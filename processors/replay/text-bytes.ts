// How much text an event brings along that is kept: what people and models wrote. Artifacts are kept without their contents.
import type { Content, DatsEvent } from '../../schemas/index.js';

const inline = ({ content, bytes }: Content): number => (content === undefined ? 0 : bytes);

interface Asked {
  readonly description: Content;
  readonly files?: readonly Content[] | undefined;
  readonly tests?: { readonly code: Content } | undefined;
}
const asked = ({ description, files = [], tests }: Asked): number =>
  inline(description) + files.reduce((sum, file) => sum + inline(file), 0) + (tests === undefined ? 0 : inline(tests.code));

const lengths = (texts: readonly (string | undefined)[]): number => texts.reduce((sum, text) => sum + (text?.length ?? 0), 0);

/** Bytes; of reasons and details, characters. */
export const textBytes = (event: DatsEvent): number => {
  switch (event.type) {
    case 'dats.task.created':
      return asked(event.data);
    case 'dats.task.decomposed':
      return event.data.children.reduce((sum, child) => sum + asked(child), 0);
    case 'dats.task.validated':
      return lengths(event.data.checks.map(({ detail }) => detail));
    case 'dats.task.rejected':
      return lengths([...event.data.reasons, ...event.data.checks.map(({ detail }) => detail)]);
    default:
      return 0;
  }
};
