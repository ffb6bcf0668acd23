// Loaded into a provider process with node --require: what a defect somewhere in it would do.
setTimeout(() => {
  throw new Error('something is broken');
}, 300);
