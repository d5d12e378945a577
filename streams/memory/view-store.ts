// The view store in memory: documents as JSON text, so that nobody can change what is stored by changing what was read.
import { Fault } from '../../schemas/index.js';
import { checkpointConflict, type Document, type ViewStore } from '../view-store.js';

interface Stored {
  readonly version: number;
  /** undefined after a delete: the version stays, so that a replayed older write stays without effect (V1). */
  readonly json: string | undefined;
  readonly indexes: readonly string[];
}

export const openMemoryViewStore = (): ViewStore => {
  const collections = new Map<string, Map<string, Stored>>();
  const checkpoints = new Map<string, number>();
  let closed = false;
  const checkOpen = () => {
    if (closed) throw new Fault('fatal', 'log_closed', 'the view store is closed; open it again before using it');
  };
  const collection = (name: string): Map<string, Stored> => {
    let documents = collections.get(name);
    if (documents === undefined) {
      documents = new Map();
      collections.set(name, documents);
    }
    return documents;
  };
  const write = ({ collection: name, id, version, doc, indexes = [] }: Document, json: string | undefined) => {
    const documents = collection(name);
    const stored = documents.get(id);
    if (stored !== undefined && stored.version >= version) return;
    const fixed = stored?.json === undefined ? [...indexes] : stored.indexes;
    documents.set(id, { version, json, indexes: doc === null ? [] : fixed });
  };

  return {
    get: <T>(name: string, id: string) => {
      checkOpen();
      const json = collections.get(name)?.get(id)?.json;
      return json === undefined ? undefined : (JSON.parse(json) as T);
    },
    put: async (documents, checkpoint) => {
      checkOpen();
      const texts = documents.map(({ doc }) => (doc === null ? undefined : JSON.stringify(doc)));
      if (checkpoint !== undefined) {
        const key = `${checkpoint.view}/${checkpoint.partition}`;
        const stored = checkpoints.get(key) ?? 0;
        if (stored !== checkpoint.from) throw checkpointConflict(checkpoint, stored);
        checkpoints.set(key, Math.max(checkpoint.next, stored));
      }
      for (const [at, document] of documents.entries()) write(document, texts[at]);
    },
    checkpoint: async (view, partition) => {
      checkOpen();
      return checkpoints.get(`${view}/${partition}`) ?? 0;
    },
    list: async (name, prefix, { after, limit, reverse = false }) => {
      checkOpen();
      const found: { key: string; id: string }[] = [];
      for (const [id, { indexes }] of collections.get(name) ?? []) {
        for (const key of indexes) if (key.startsWith(prefix)) found.push({ key, id });
      }
      found.sort((a, b) => (byBytes(a.key, b.key) || byBytes(a.id, b.id)) * (reverse ? -1 : 1));
      const rest = after === undefined ? found : found.filter(({ key }) => (reverse ? byBytes(key, after) < 0 : byBytes(key, after) > 0));
      return rest.slice(0, limit);
    },
    clear: async () => {
      checkOpen();
      collections.clear();
      checkpoints.clear();
    },
    close: async () => {
      closed = true;
    },
  };
};

const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
