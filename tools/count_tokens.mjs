// How many tokens each word of stdin has after a space: node count_tokens.mjs gpt2|llama MODULE < words
// MODULE: index.js of the npm package gpt-3-encoder, or llama-tokenizer.js of llama-tokenizer-js.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [kind, path] = process.argv.slice(2);
const tokenizer = (await import(pathToFileURL(path).href)).default;
const encoders = {
  gpt2: (word) => tokenizer.encode(" " + word),
  llama: (word) => tokenizer.encode(word, false, true), // no start token; it puts the space itself
};
const words = readFileSync(0, "utf8").split("\n").filter(Boolean);
console.log(words.map((word) => `${word} ${encoders[kind](word).length}`).join("\n"));
