// What OpenAI documents and this gateway does not do: ignored where the answer is as good without it, refused where it would be another one.

/** Taken and without effect: why. */
export const IGNORED: Readonly<Record<string, string>> = {
  metadata: 'nothing is stored under it',
  store: 'nothing is stored',
  service_tier: 'there is one',
  safety_identifier: 'nobody is told it',
  prompt_cache_key: 'model servers find their own caches',
  prompt_cache_options: 'model servers find their own caches',
  prompt_cache_retention: 'model servers find their own caches',
  prediction: 'it would only save time',
  reasoning_effort: 'models of servers.yaml think as they are set up to',
  verbosity: 'say it in the prompt',
};

/** Refused, unless the value is one that changes nothing: why, and what to do. */
export const REFUSED: Readonly<Record<string, string>> = {
  n: 'only 1 is supported; ask several times for several answers',
  logprobs: 'log probabilities are not supported; leave it out',
  top_logprobs: 'log probabilities are not supported; leave it out',
  logit_bias: 'biases of tokens are not supported; leave it out',
  modalities: 'only text is supported; leave it out',
  audio: 'only text is supported; leave it out',
  web_search_options: 'models do not search the web here; offer a tool for it',
  moderation: 'there is no moderation here; leave it out',
  functions: 'replaced by "tools"; use that',
  function_call: 'replaced by "tool_choice"; use that',
};
