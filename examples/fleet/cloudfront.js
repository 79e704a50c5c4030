// A CloudFront Function for viewer requests: what the cache sees of Accept is the browser's class.
// Let the cache policy include the header Accept and all query strings, and the origin request policy nothing more.
const REFUSED = /;\s*q=0(\.0*)?\s*$/;

function handler(event) {
  const request = event.request;
  const sent = request.headers.accept ? request.headers.accept.value.toLowerCase() : '';
  const taken = sent.split(',').filter((part) => !REFUSED.test(part)).map((part) => part.split(';')[0].trim());
  let value = '*/*';
  if (taken.includes('image/avif')) value = 'image/avif,image/webp,*/*';
  else if (taken.includes('image/webp')) value = 'image/webp,*/*';
  request.headers.accept = { value: value };
  return request;
}
