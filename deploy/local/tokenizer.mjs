// What the toy models' tokenizers have in common: three special tokens, one for each byte, and the words around a message.
export const [UNKNOWN, BEGIN, END] = [0, 1, 2];
export const SPECIAL = ['<unk>', '<s>', '</s>'];
/** What kind of token it is. Text is split at `own` tokens first, whatever stands around them. */
export const KIND = { normal: 1, unknown: 2, control: 3, own: 4, byte: 6 };
/** What a prompt ends with: now the model speaks. */
export const ASKED = '<assistant>\n';
export const TEMPLATE = `{% for message in messages %}<{{ message['role'] }}>
{{ message['content'] }}
{% endfor %}{% if add_generation_prompt %}${ASKED}{% endif %}`;
/** The same in Ollama's own template language. */
export const OLLAMA_TEMPLATE = `{{ range .Messages }}<{{ .Role }}>\n{{ .Content }}\n{{ end }}${ASKED}`;

const byteToken = (byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;
const BYTES = Array.from({ length: 256 }, (_, byte) => byteToken(byte));
const KINDS = [KIND.unknown, KIND.control, KIND.control, ...BYTES.map(() => KIND.byte)];

/** Every token's text, by number. @param {{ text: string, kind: number }[]} more after those for bytes */
export const vocabularyWith = (more) => [...SPECIAL, ...BYTES, ...more.map(({ text }) => text)];

/** The fields of a model's file that tell its tokenizer. */
export const tokenizerFields = (more = []) => {
  const tokens = vocabularyWith(more);
  return [
    ['llama.vocab_size', 'u32', tokens.length],
    ['tokenizer.ggml.model', 'text', 'llama'],
    ['tokenizer.ggml.tokens', 'text', tokens],
    ['tokenizer.ggml.scores', 'f32', tokens.map(() => 0)],
    ['tokenizer.ggml.token_type', 'i32', [...KINDS, ...more.map(({ kind }) => kind)]],
    ['tokenizer.ggml.unknown_token_id', 'u32', UNKNOWN],
    ['tokenizer.ggml.bos_token_id', 'u32', BEGIN],
    ['tokenizer.ggml.eos_token_id', 'u32', END],
    ['tokenizer.ggml.add_bos_token', 'bool', true],
    ['tokenizer.ggml.add_eos_token', 'bool', false],
    ['tokenizer.ggml.add_space_prefix', 'bool', false],
    ['tokenizer.chat_template', 'text', TEMPLATE],
  ];
};
