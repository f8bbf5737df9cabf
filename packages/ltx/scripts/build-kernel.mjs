console.log('kernel: not yet');
