type Environment = Readonly<Record<string, string | undefined>>;

export function goFor(cache: string, why: string, env?: Environment): Promise<{ readonly go: string; readonly env: Environment }>;
