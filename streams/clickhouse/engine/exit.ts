/** How the engine's process ends when another one has its folder. */
export const EXIT_TAKEN = 3;
