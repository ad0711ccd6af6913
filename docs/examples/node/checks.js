'use strict';
// What a request must be: the contract's INVALID_ARGUMENT and FAILED_PRECONDITION.

const sharp = require('sharp');
const { invalid, lacks } = require('./refusal');
const { card, maxImages } = require('./model');

const MAX_PIXELS = 89_478_485; // of one image; larger ones are taken for decompression bombs

const isUnknown = (value) => typeof value === 'number'; // of an enum: what has no name is left a number

/** Throws a refusal that names everything wrong with a request, but the contents of its images. */
function checkRequest(request) {
  const wrong = [
    ...questions(request),
    ...images(request),
    ...prompting(request),
    ...generation(request.generation ?? {}),
  ];
  if (wrong.length) throw invalid(wrong);
  const asked = { ...request.prompting, ...request.generation };
  const able = card.capabilities;
  if (asked.option_scores && !able.option_scores) throw lacks('option scores');
  if (asked.anomaly_map && !able.anomaly_map) throw lacks('an anomaly map');
  if (asked.conversation_history && !able.conversation_history) throw lacks('conversation history');
  if (thinks(request) && !able.chain_of_thought) throw lacks('chain of thought');
}

/** Throws a refusal that names every image which cannot be decoded to its end. */
async function checkPictures(images) {
  const reasons = await Promise.all(images.map(({ content }) => whyBroken(content)));
  const wrong = reasons.flatMap((reason, i) => (reason ? [[`images[${i}].content`, reason]] : []));
  if (wrong.length) throw invalid(wrong);
}

async function whyBroken(content) {
  if (!content.length) return 'is empty';
  try {
    await sharp(content, { failOn: 'truncated', limitInputPixels: MAX_PIXELS }).stats(); // reads all pixels
    return '';
  } catch (error) {
    return `cannot be decoded: ${error.message}`;
  }
}

const thinks = ({ prompting }) => (prompting?.chain_of_thought ?? UNTHINKING) !== UNTHINKING;
const UNTHINKING = 'CHAIN_OF_THOUGHT_UNSPECIFIED';

function* questions(request) {
  if (!request.questions.length) yield ['questions', 'there is no question'];
  const seen = new Set();
  for (const [i, question] of request.questions.entries()) {
    const where = `questions[${i}]`;
    const id = question.question_id;
    if (!id) yield [`${where}.question_id`, 'is empty'];
    if (seen.has(id)) yield [`${where}.question_id`, `'${id}' is there twice`];
    seen.add(id);
    yield* options(where, question);
  }
  for (const [i, turn] of request.history.entries()) {
    yield* options(`history[${i}].question`, turn.question ?? { options: [] });
  }
}

function* options(where, question) {
  if (!question.options.length) yield [`${where}.options`, 'there is no option'];
  const seen = new Set();
  for (const [i, { letter }] of question.options.entries()) {
    const field = `${where}.options[${i}].letter`;
    if (!/^[A-Z]$/.test(letter)) yield [field, `'${letter}' is not one capital letter`];
    if (seen.has(letter)) yield [field, `'${letter}' is there twice`];
    seen.add(letter);
  }
}

function* images({ images }) {
  if (!images.length) {
    if (!card.capabilities.text_only) yield ['images', 'there is no image, and this model needs one'];
    return;
  }
  if (images.length > maxImages) yield ['images', `${images.length} images, and ${maxImages} are taken`];
  for (const [i, { role, caption }] of images.entries()) {
    if (role === 'IMAGE_ROLE_UNSPECIFIED') yield [`images[${i}].role`, 'is unspecified'];
    if (isUnknown(role)) yield [`images[${i}].role`, `${role} is unknown`];
    if (role === 'IMAGE_ROLE_EXPERT_HINT' && !caption) {
      yield [`images[${i}].caption`, 'a hint needs a caption that says how it is drawn'];
    }
  }
  const queries = images.filter(({ role }) => role === 'IMAGE_ROLE_QUERY').length;
  if (queries !== 1) yield ['images', `${queries} of the images are query images, and it must be exactly one`];
}

function* prompting(request) {
  const chain = request.prompting?.chain_of_thought;
  if (isUnknown(chain)) yield ['prompting.chain_of_thought', `${chain} is unknown`];
  if (request.history.length && !request.prompting?.conversation_history) {
    yield ['history', 'goes only with prompting.conversation_history'];
  }
  if (request.analysis && chain !== 'CHAIN_OF_THOUGHT_PER_INSPECTION') {
    yield ['analysis', 'goes only with CHAIN_OF_THOUGHT_PER_INSPECTION'];
  }
}

function* generation({ max_new_tokens, temperature = 0, top_p = 1 }) {
  if (max_new_tokens === 0) yield ['generation.max_new_tokens', 'is 0, which leaves no room for an answer'];
  if (!(temperature >= 0 && temperature < Infinity)) {
    yield ['generation.temperature', `${temperature} is not a number from 0 up`];
  }
  if (!(top_p > 0 && top_p <= 1)) yield ['generation.top_p', `${top_p} is not above 0 and at most 1`];
}

module.exports = { checkRequest, checkPictures };
