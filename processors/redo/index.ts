export { redoEffect } from './redo-effect.js';
