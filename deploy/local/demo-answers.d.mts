export interface DemoAnswer {
  /** A line of the task that asks for it. */
  readonly key: string;
  readonly text: string;
  /** Follows the text, and then itself, without an end. */
  readonly loop?: string;
}
export function demoAnswers(tier: 'small' | 'medium'): Promise<readonly DemoAnswer[]>;
